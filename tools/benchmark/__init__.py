"""The parts of tools/bench: pairport measured side by side with other relays."""
