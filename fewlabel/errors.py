"""Errors that are meant for the user."""


class FewlabelError(Exception):
    """An error whose message is one sentence for the user: what, where, what is allowed."""
