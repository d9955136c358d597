//! What people and rooms may be called.

/// The longest name, in characters, which are bytes.
const LONGEST: usize = 20;

/// The operator's name.
pub(crate) const OPERATOR_NAME: &str = "server";

/// How the names of those begin who have not chosen one.
pub(crate) const GUEST: &str = "guest-";

/// Names that differ only in case are the same name: this is what they have in common.
pub(crate) fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// Whether people and rooms can have this name.
///
/// # Errors
///
/// The rule, for the one who asked.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let begins = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic());
    match letters && begins && name.len() <= LONGEST {
        true => Ok(()),
        false => Err(format!(
            "a name has 1 to {LONGEST} letters, digits, _ or -, and begins with a letter (a-z)"
        )),
    }
}

/// Whether somebody can take this name, if it is free.
///
/// # Errors
///
/// The reason, for the one who asked.
pub(crate) fn check_person(name: &str) -> Result<(), String> {
    check(name)?;
    let key = key(name);
    match key == OPERATOR_NAME || key.starts_with(GUEST) {
        true => Err(format!("{name} is reserved")),
        false => Ok(()),
    }
}
