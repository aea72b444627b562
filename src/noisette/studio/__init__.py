"""The studio: a page on which one draws with a model, keeps what is good, and trains another."""
