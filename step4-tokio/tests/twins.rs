//! The same scripts, played to steps 3 and 4, give everyone the same lines.

use std::path::Path;
use std::process::Command;

use proptest::collection::vec;
use proptest::prelude::*;
use testkit::{Act, Chat, play};

const OWN: &str = env!("CARGO_BIN_EXE_step4-tokio");

/// Step 3's binary, from the same build: whoever tests step 4 alone has not built it.
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
    let who = 1..6_usize;
    prop_oneof![
        4 => Just(Act::Join),
        4 => (who.clone(), text()).prop_map(|(who, text)| Act::Say(who, text)),
        2 => (who.clone(), "/[a-z]{1,5}[xyz]( [a-z]{1,3})?").prop_map(|(who, text)| Act::Command(who, text)),
        2 => (who.clone(), vec(text(), 1..20)).prop_map(|(who, texts)| Act::Burst(who, texts)),
        1 => who.clone().prop_map(Act::Exit),
        1 => (who.clone(), text()).prop_map(|(who, text)| Act::HalfClose(who, text)),
        1 => who.prop_map(Act::Reset),
        1 => "[a-z]{1,8}".prop_map(Act::Operator),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scripts_play_alike(script in vec(act(), 1..30)) {
        let step3 = play(&Chat::new(3, &step3()), &script);
        let step4 = play(&Chat::new(4, OWN), &script);
        prop_assert_eq!(step3, step4);
    }
}
