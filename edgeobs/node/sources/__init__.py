"""What is read on a node: functions from a `Host` to readings; each may find that nothing is there."""
