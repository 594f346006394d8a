"""How fast it is, measured beside the plain way: `python -m gan_demo.benchmark [SECTION ...] [--json FILE]`.

A section measures one thing a person waits for or pays for, in a file of its name. Nothing here passes or fails: the
budgets stand beside the figures. What is compared is measured in turn in one run, so that a busy machine slows both.
"""
