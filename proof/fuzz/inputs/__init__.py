"""What is fuzzed, a module each: the grammar of its cases, and their check if it has its own."""
