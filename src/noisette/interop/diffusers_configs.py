"""Configs of diffusers: the keys that are read, with their types."""

from dataclasses import dataclass


@dataclass(frozen=True)
class UNet2DConfig:
    """The config of a UNet2DModel: the keys that are read, with diffusers' defaults for absent ones."""

    sample_size: int | tuple[int, int] | None = None
    in_channels: int = 3
    out_channels: int = 3
    freq_shift: int = 0
    flip_sin_to_cos: bool = True
    down_block_types: tuple[str, ...] = ("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D")
    up_block_types: tuple[str, ...] = ("AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D")
    block_out_channels: tuple[int, ...] = (224, 448, 672, 896)
    layers_per_block: int = 2
    downsample_padding: int = 1
    downsample_type: str = "conv"
    upsample_type: str = "conv"
    dropout: float = 0.0
    attention_head_dim: int | None = 8  # None: one head
    norm_num_groups: int = 32
    norm_eps: float = 1e-5
    resnet_time_scale_shift: str = "default"
    num_class_embeds: int | None = None
    add_attention: bool = True
    attn_norm_num_groups: int | None = None


@dataclass(frozen=True)
class SchedulerConfig:
    """The config of a scheduler: the keys that are read, with diffusers' defaults for absent ones."""

    _class_name: str = "DDPMScheduler"
    prediction_type: str = "epsilon"
    num_train_timesteps: int = 1000
    beta_start: float = 1e-4
    beta_end: float = 0.02
    beta_schedule: str = "linear"
    trained_betas: tuple[float, ...] | None = None
    rescale_betas_zero_snr: bool = False
    variance_type: str | None = None
    timestep_spacing: str = "leading"
    clip_sample: bool = True
    shift: float | None = 1.0
    use_dynamic_shifting: bool | None = False
    sigma_max: float = 80.0
    sigma_data: float = 0.5

    @property
    def kind(self) -> str:
        """The scheduler's class in diffusers."""
        return self._class_name
