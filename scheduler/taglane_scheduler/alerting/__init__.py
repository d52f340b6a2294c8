"""Tells people what goes wrong: rules say of what, channels to whom; a message an incident, and one when it is over."""
