//! Prints the share of lines that steps 3 and 4 have in common.

use std::io;
use std::path::Path;

use testkit::twins;

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for pair in twins::compare(&root.join("step3-multiclient"), &root.join("step4-tokio"))? {
        println!("{:12} {:>4} %", pair.file, pair.percent());
    }
    Ok(())
}
