"""Pages about programs that act for users: their tokens, and how to connect one."""
