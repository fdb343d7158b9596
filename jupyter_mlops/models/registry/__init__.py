"""Models earn their place: registered with their data, promoted through gates, approved by others, taken back in one step."""
