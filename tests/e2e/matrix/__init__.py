"""Sources, observers and measurements of the tests in which everything plays everywhere."""
