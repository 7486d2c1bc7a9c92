"""Stand-in while another worktree builds the room; never committed."""
