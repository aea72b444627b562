"""Sentence encoders that are quick: random, but always the same, and real to all who use them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from noisette.data.pictures import TextEncoderInfo
from noisette.data.text import TextEncoding

WORDS = ("a", "big", "blue", "red", "small", "square", "fish", "food", "tool")
WIDTH = 16


class Counted:
    """An encoder with one vector per word; `encoded` lists the texts that it got."""

    def __init__(self, sha256: str = "0" * 64) -> None:
        self.info = TextEncoderInfo("counted", sha256, WIDTH, 6)
        self.encoded: list[str] = []

    def __call__(self, texts: Sequence[str]) -> TextEncoding:
        self.encoded += texts
        rows = [torch.stack([self.vector(word) for word in text.split()]) for text in texts]
        mask = torch.arange(max(map(len, rows)))[None] < torch.tensor([[len(row)] for row in rows])
        return TextEncoding(
            torch.stack([row.mean(0) for row in rows]), torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), mask
        )

    def vector(self, word: str) -> torch.Tensor:
        seed = int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big")
        return torch.randn(WIDTH, generator=torch.Generator().manual_seed(seed))


def random_bert(folder: Path) -> Path:
    """A folder as the hub has them: a small BERT with random weights, which knows WORDS."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS)
    tokenizer = Tokenizer(models.WordLevel({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    fast.save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(names), hidden_size=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(folder)
    return folder
