//! The command line of headcount.

fn main() {}
