"""Files: atomic writes, checked reads, locks, tensors, checkpoints, metrics, and the Hugging Face Hub."""
