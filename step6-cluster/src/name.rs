//! The rules for names of people, rooms and nodes.

/// The maximum length of a name in bytes. A name is ASCII, so bytes are characters.
const MAX_NAME: usize = 20;

/// The operator's name.
pub(crate) const OPERATOR_NAME: &str = "server";

/// The beginning of the names of members that have not chosen one.
pub(crate) const GUEST: &str = "guest-";

/// The key of a name. Names that differ only in case are the same name and have the same key.
pub(crate) fn key(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// The name of a member of another node. No other name contains `@`.
pub(crate) fn at(name: &str, node: &str) -> String {
    format!("{name}@{node}")
}

/// Checks the name of a person, a room or a node.
///
/// # Errors
///
/// The rule, for the client.
pub(crate) fn check(name: &str) -> Result<(), String> {
    let begins = name.starts_with(|first: char| first.is_ascii_alphabetic());
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    if begins && name.bytes().all(valid) && name.len() <= MAX_NAME {
        return Ok(());
    }
    Err(format!(
        "a name has 1 to {MAX_NAME} letters, digits, _ or -, and begins with a letter (a-z)"
    ))
}

/// Checks the name of a person; it may still be taken.
///
/// # Errors
///
/// The reason, for the client.
pub(crate) fn check_person(name: &str) -> Result<(), String> {
    check(name)?;
    let key = key(name);
    if key == OPERATOR_NAME || key.starts_with(GUEST) {
        return Err(format!("{name} is reserved"));
    }
    Ok(())
}

/// Checks the name of a node, as given on the command line.
///
/// # Errors
///
/// The rule, for the user.
pub fn check_node(name: &str) -> Result<String, String> {
    check(name).map(|()| name.into())
}
