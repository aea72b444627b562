"""What a model is used for. Each program is a pure function of tensors, a few dozen lines long."""
