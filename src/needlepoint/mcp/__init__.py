"""The door for assistants: the Model Context Protocol, over stdio and streamable HTTP."""
