"""What can go wrong on a card, said so that one knows what to do."""


class DeviceError(RuntimeError):
    """The card refused: out of memory, a fault in a kernel, no driver."""
