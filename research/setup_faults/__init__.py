"""How many set-up faults `probefusion doctor` finds where they were planted, and how many it invents."""
