"""Tables of a config onto values: tasks, nets, learners, and the job made of them."""
