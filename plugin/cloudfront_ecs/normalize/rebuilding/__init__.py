"""The way back: from a document to the texts of its columns."""
