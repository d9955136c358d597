use std::{error, fmt, io};

/// An address that is not of the form `HOST:PORT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddressError;

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected HOST:PORT, for example 127.0.0.1:8080")
    }
}

impl error::Error for AddressError {}

impl From<AddressError> for io::Error {
    fn from(error: AddressError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Checks the form of an address: a host name, an IPv4 address or an IPv6 address in brackets,
/// then a colon and a port. Whether the host exists is not checked.
///
/// # Errors
///
/// [`AddressError`] for any other form, such as a URL, a host alone or a port alone.
pub fn check_address(addr: &str) -> Result<&str, AddressError> {
    let (host, port) = addr.rsplit_once(':').ok_or(AddressError)?;
    let ipv6 = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_ok = match ipv6 {
        Some(host) => !host.is_empty(),
        None => !host.is_empty() && !host.contains([':', '/', '[', ']', ' ', '\t']),
    };
    let port_ok = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if host_ok && port_ok { Ok(addr) } else { Err(AddressError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_host_and_port_are_accepted() {
        for addr in
            ["127.0.0.1:8080", "localhost:0", "[::1]:9000", "[fe80::1%eth0]:1", "a-b.c:65535"]
        {
            assert_eq!(check_address(addr), Ok(addr));
        }
        for addr in [
            "",
            ":",
            "8080",
            ":8080",
            "localhost",
            "localhost:",
            "localhost:x",
            "localhost:+1",
            "127.0.0.1",
            "127.0.0.1:99999",
            "::1",
            "[::1]",
            "[]:1",
            "http://localhost:80",
            "localhost:80/",
            "a b:1",
        ] {
            assert_eq!(check_address(addr), Err(AddressError), "{addr:?}");
        }
    }
}
