"""Who a person is: how the events of a device before it was known become its user's."""
