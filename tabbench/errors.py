"""The one exception that means: the user can mend this."""


class UserError(Exception):
    """A mistake in the input. Its message is one line: what is wrong, where, what to do; the CLI prints it and exits with 2."""
