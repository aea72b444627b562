"""The names that diffusers gives to a UNet2DModel's tensors, for reading its folders and for writing them."""

import re

RENAMES: tuple[tuple[str, str], ...] = (  # our names → theirs
    (r"^embed\.time\.mlp\.0\.", "time_embedding.linear_1."),
    (r"^embed\.time\.mlp\.2\.", "time_embedding.linear_2."),
    (r"^embed\.classes\.", "class_embedding."),
    (r"^norm_out\.", "conv_norm_out."),
    (r"^mid\.first\.res\.", "mid_block.resnets.0."),
    (r"^mid\.first\.attn\.", "mid_block.attentions.0."),
    (r"^mid\.last\.", "mid_block.resnets.1."),
    (r"^(down|up)\.(\d+)\.blocks\.(\d+)\.res\.", r"\1_blocks.\2.resnets.\3."),
    (r"^(down|up)\.(\d+)\.blocks\.(\d+)\.attn\.", r"\1_blocks.\2.attentions.\3."),
    (r"^(down|up)\.(\d+)\.resample\.", r"\1_blocks.\2.\1samplers.0."),
    (r"\.embed\.(weight|bias)$", r".time_emb_proj.\1"),
    (r"\.skip\.(weight|bias)$", r".conv_shortcut.\1"),
    (r"(attentions\.\d+)\.norm\.", r"\1.group_norm."),
    (r"(attentions\.\d+)\.out\.", r"\1.to_out.0."),
)


def name_of(ours: str) -> tuple[str, ...]:
    """Their names of one of our tensors; of q, k and v there are three."""
    for pattern, to in RENAMES:
        ours = re.sub(pattern, to, ours)
    return tuple(ours.replace(".qkv.", f".to_{part}.") for part in "qkv") if ".qkv." in ours else (ours,)
