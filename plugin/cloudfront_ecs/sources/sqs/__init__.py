"""Amazon SQS: messages held, renewed, ended; and what they say of objects."""
