"""Models: their configs, tasks and conditions; PictureModel and PictureClassifier; the models that ship."""
