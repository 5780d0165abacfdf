"""Who may do what on the page: each role may do all that the one before it may."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """Ordered by what it may do. ``word`` is its name everywhere."""

    OPERATOR = 1
    """Sees the line and its records."""
    TECHNICIAN = 2
    """Releases a stopped line, calibrates, activates, goes back, changes the product; sees the settings."""
    ENGINEER = 3
    """Sees the audit trail and who has an account."""

    @property
    def word(self) -> str:
        """In lower case."""
        return self.name.lower()

    @classmethod
    def named(cls, word: str) -> Role:
        """The role called ``word``; raises KeyError."""
        return cls[word.upper()]
