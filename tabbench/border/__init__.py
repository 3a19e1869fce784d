"""The border: what comes in is held to a form, what goes out is escaped for its medium."""
