//! The same script, played to steps 3 and 4, sends the same lines to every client.

use std::path::Path;
use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use testkit::{Act, Chat, play};

const OWN: &str = env!("CARGO_BIN_EXE_step4-tokio");

/// The binary of step 3, in the same profile. Testing step 4 alone does not build it.
fn step3() -> String {
    let folder = Path::new(OWN).parent().unwrap();
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--package", "step3-multiclient"]);
    if folder.ends_with("release") {
        build.arg("--release");
    }
    assert!(build.status().unwrap().success());
    let name = Path::new("step3-multiclient").with_extension(std::env::consts::EXE_EXTENSION);
    folder.join(name).to_str().unwrap().to_owned()
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z ]{1,12}",
        "//[a-z]{1,5}",
        " /exit",
        "[\u{1}\u{1b}\u{202e}é*!:]{1,6}",
        Just("x".repeat(4096)),
        Just("y".repeat(4097)),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let client = || 1..6_usize;
    prop_oneof![
        4 => Just(Act::Join),
        4 => (client(), text()).prop_map(|(n, text)| Act::Send(n, text)),
        2 => (client(), "/[a-z]{1,5}[xyz]( [a-z]{1,3})?").prop_map(|(n, text)| Act::Command(n, text)),
        2 => (client(), vec(text(), 1..20)).prop_map(|(n, texts)| Act::Burst(n, texts)),
        1 => client().prop_map(Act::Exit),
        1 => (client(), text()).prop_map(|(n, text)| Act::HalfClose(n, text)),
        1 => client().prop_map(Act::Reset),
        1 => "[a-z]{1,8}".prop_map(Act::Operator),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn steps_3_and_4_send_the_same_lines(script in vec(act(), 1..30)) {
        let step3 = play(&Chat::new(3, &step3()), &script);
        let step4 = play(&Chat::new(4, OWN), &script);
        prop_assert_eq!(step3, step4);
    }
}
