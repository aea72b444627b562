"""Import and export of the formats of other projects."""
