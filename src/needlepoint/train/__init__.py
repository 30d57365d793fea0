"""The training room: losses, seeded samplers, a resumable loop, and a compact dual encoder."""
