"""The one error that a user's input can cause."""


class InputError(ValueError):
    """What was given cannot be used. The message is one sentence: what, where, and what would be right.

    The command line prints it and exits with code 2; everything else that is raised is a defect of ours.
    """
