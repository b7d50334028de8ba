"""What happens around every gRPC call, one concern per file; `chain` says in which order."""
