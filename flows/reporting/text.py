"""Untrusted text of the service on one line."""

#: Characters that move a cursor or change a colour or the direction of a line, and non-characters. Escaped as in JSON.
_CONTROLS = {
    code: f"\\u{code:04x}"
    for first, last in (
        (0x00, 0x1F),
        (0x7F, 0x9F),
        (0x200E, 0x200F),
        (0x2028, 0x202E),
        (0x2066, 0x2069),
        (0xD800, 0xDFFF),
    )
    for code in range(first, last + 1)
}


def plain(text: str) -> str:
    """One line without control characters."""
    return text.translate(_CONTROLS)
