"""The one exception that reaches a person."""


class GanDemoError(ValueError):
    """One line for a person: what is wrong, where, and what would work.

    `train.py` and `app.py` print it and exit with status 2; the page shows it as a sentence.
    """
