//! A copy of the workspace, in which tasks may change the code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::{fs, io};

use testkit::book::root;

/// A task builds its step again after each change. The compiler takes a third of the time if it does
/// not optimise.
const PROFILE: &str = "[profile.dev.package]
step1-channels = { opt-level = 0 }
step2-tcp = { opt-level = 0 }
step3-multiclient = { opt-level = 0 }
step4-tokio = { opt-level = 0 }
step5-broadcast = { opt-level = 0 }
step6-cluster = { opt-level = 0 }
";

/// Dependencies with their features. All tasks need the same, and asking cargo takes time.
static FEATURES: LazyLock<[(&str, String); 2]> =
    LazyLock::new(|| ["rustix", "tokio"].map(|dependency| (dependency, features(dependency))));

/// A folder inside `target`, always the same one, with a `target` folder of its own. Files that
/// have not changed keep their times, so cargo builds again only what a task changes.
#[derive(Debug)]
pub(crate) struct Copy(PathBuf);

impl Copy {
    /// Copies all files that Git does not ignore, and undoes what the last task has changed.
    pub(crate) fn update() -> io::Result<Self> {
        let copy = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join("tasks"));
        let mut kept = BTreeSet::new();
        let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
        let listed = Command::new("git").args(list).current_dir(root()).output()?;
        for path in String::from_utf8_lossy(&listed.stdout).split_terminator('\0') {
            let (from, to) = (root().join(path), copy.0.join(path));
            // A file that is deleted but not yet committed is still listed.
            let Ok(mut content) = fs::read(&from) else { continue };
            if path == "Cargo.toml" {
                content = with_all_features(&String::from_utf8_lossy(&content)).into_bytes();
            }
            if !fs::read(&to).is_ok_and(|copied| copied == content) {
                fs::create_dir_all(to.parent().expect("a folder"))?;
                fs::write(&to, content)?;
            }
            kept.insert(to);
        }
        let config = copy.0.join(".cargo/config.toml");
        fs::create_dir_all(copy.0.join(".cargo"))?;
        fs::write(&config, PROFILE)?;
        kept.insert(config);
        assert!(kept.len() > 100, "git lists only {} files", kept.len());
        remove_others(&copy.0, &kept)?;
        Ok(copy)
    }

    /// A command that runs in the copy. Cargo finds the dependencies that are built already, and
    /// leaves the programs in the `target` folder of the copy.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let built = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a target folder");
        command.env_remove("CARGO_TARGET_DIR").env("CARGO_BUILD_BUILD_DIR", built);
        command.current_dir(&self.0);
        command
    }

    /// Applies a change, which has to fit exactly.
    pub(crate) fn apply(&self, diff: &str) -> Result<(), String> {
        let patch = self.0.join("target/task.diff");
        fs::create_dir_all(self.0.join("target")).map_err(|error| error.to_string())?;
        fs::write(&patch, diff).map_err(|error| error.to_string())?;
        let mut git = Command::new("git");
        // Git would take the repository around this folder for its own, and skip all files.
        git.env("GIT_CEILING_DIRECTORIES", env!("CARGO_TARGET_TMPDIR"));
        let applied = git.arg("apply").arg(patch).current_dir(&self.0).output();
        succeed("the diff does not apply", applied).map(drop)
    }

    /// Builds what the commands run, so that building does not count as running.
    pub(crate) fn build(&self, cargo_args: &[String]) -> Result<(), String> {
        let built = self.command("cargo").args(cargo_args).output();
        let built = succeed("the changed code does not compile", built)?;
        let noise = String::from_utf8_lossy(&built.stderr);
        if noise.is_empty() { Ok(()) } else { Err(format!("the compiler warns:\n{noise}")) }
    }
}

/// The manifest of the workspace, in which some dependencies have all the features that any member
/// wants. So cargo does not build them, and all that depends on them, once more for each step.
fn with_all_features(manifest: &str) -> String {
    let mut lines: Vec<_> = manifest.lines().map(str::to_owned).collect();
    for (dependency, features) in &*FEATURES {
        let prefix = format!("{dependency} = ");
        for line in lines.iter_mut().filter(|line| line.starts_with(&prefix)) {
            let version = line.split('"').nth(1).expect("a version");
            *line = format!("{prefix}{{ version = \"{version}\", features = [\"{features}\"] }}");
        }
    }
    lines.join("\n") + "\n"
}

/// All features of a dependency that any member wants, as they stand in a manifest.
fn features(dependency: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["tree", "--workspace", "--offline", "--depth", "0", "--format", "{f}"]);
    let tree = cargo.args(["--invert", dependency]).current_dir(root()).output();
    let tree = succeed("cargo does not know the features", tree).expect("a dependency");
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    tree.lines().next().unwrap_or_default().replace(',', "\", \"")
}

fn succeed(failure: &str, output: io::Result<Output>) -> Result<Output, String> {
    let output = output.map_err(|error| format!("{failure}: {error}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(output) } else { Err(format!("{failure}:\n{stderr}")) }
}

/// Removes all files in `folder` that are not in `kept`, except those that cargo has built.
fn remove_others(folder: &Path, kept: &BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with("tasks/target") {
            remove_others(&path, kept)?;
        } else if !path.is_dir() && !kept.contains(&path) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}
