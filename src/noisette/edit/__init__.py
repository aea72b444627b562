"""Edits of pictures with a trained model, as pure functions of tensors."""
