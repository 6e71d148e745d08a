"""The generic parts, registered through the same hooks as any plugin's."""
