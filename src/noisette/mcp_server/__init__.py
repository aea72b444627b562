"""The Model Context Protocol server: tools that draw, edit and pack pictures inside one folder, for other programs."""
