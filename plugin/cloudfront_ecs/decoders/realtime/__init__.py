"""Real-time logs: records without a header, whose layout changes behind their back."""
