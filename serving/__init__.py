"""The server: CDS Hooks calls in, cards out, every card journalled."""
