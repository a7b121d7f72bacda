"""What the policy store raises.

PolicyError
├── PolicyInvalidError       the update makes no sense, or its result would be out of bounds; nothing was changed
├── PolicyConflictError      the policy is not of the version that the caller expected; nothing was changed
├── PolicyUnreachableError   Redis could not be asked in time; nothing was changed
├── PolicyStorageError       the disk refused what has to be written first; nothing was changed
├── PolicyUnconfirmedError   Redis was asked and no confirmation came, or it could not be saved: it may be in force
└── PolicyClosedError        the store was not started, or is closed; nothing was changed
"""


class PolicyError(Exception):
    """Base of all errors of the policy store. `unchanged`: it is certain that nothing was changed."""

    unchanged = True


class PolicyInvalidError(PolicyError, ValueError):
    """An unknown field, a value of the wrong type or out of bounds, or nothing to change."""


class PolicyConflictError(PolicyError):
    """The policy is of another version than expected. `version` is the one it has."""

    def __init__(self, expected: int, version: int) -> None:
        super().__init__(f"the policy is of version {version}, not {expected}")
        self.version = version


class PolicyUnreachableError(PolicyError):
    """Redis is away, hangs, or refuses; the update was never sent, or certainly not executed."""


class PolicyStorageError(PolicyError):
    """The snapshot cannot be written, and no update can be numbered without; Redis was not asked."""


class PolicyUnconfirmedError(PolicyError):
    """The update was sent, and nobody knows whether it was executed; it is not acked, and is not tried again."""

    unchanged = False


class PolicyClosedError(PolicyError):
    """The store was not started, or is closed."""


class DocumentError(ValueError):
    """What lies in Redis or in a snapshot is no policy document."""


class NewerDocumentError(DocumentError):
    """It was written by a later version of this software: not understood, and never to be overwritten."""
