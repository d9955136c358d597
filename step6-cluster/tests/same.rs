//! What a second machine does not change.

use std::fs;
use std::path::Path;

/// The session does not know that there are other nodes.
#[test]
fn the_files_around_the_hub_are_those_of_step_5() {
    let step6 = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let step5 = step6.join("../../step5-broadcast/src");
    for name in [
        "accept",
        "batch",
        "client",
        "console",
        "operator",
        "reader",
        "session",
        "signals",
        "timer",
        "token_bucket",
        "writer",
    ] {
        let read = |folder: &Path| fs::read_to_string(folder.join(name).with_extension("rs"));
        assert_eq!(read(&step6).unwrap(), read(&step5).unwrap(), "{name}");
    }
}
