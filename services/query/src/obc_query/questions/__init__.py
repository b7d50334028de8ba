"""The questions: each module turns one into statements and rows into its answer."""
