//! What several commands are given: a header, a body.

use std::{path::Path, str::FromStr};

use http::{HeaderName, HeaderValue};

/// One `Name: value`.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) name: HeaderName,
    pub(crate) value: HeaderValue,
}

impl FromStr for Header {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text
            .split_once(':')
            .ok_or("write it as `Name: value`, with a colon")?;
        let name = HeaderName::from_str(name.trim()).map_err(|error| error.to_string())?;
        if ["content-length", "transfer-encoding", "connection"].contains(&name.as_str()) {
            return Err(format!("`{name}` is the client's own business"));
        }
        let mut value = HeaderValue::from_str(value.trim()).map_err(|error| error.to_string())?;
        // Credentials, often: whatever prints headers must not print these.
        value.set_sensitive(true);
        Ok(Self { name, value })
    }
}

/// A body from the command line or a file.
#[derive(Debug, Clone)]
pub(crate) struct Data(pub(crate) Vec<u8>);

impl FromStr for Data {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix('@') {
            None => Ok(Self(text.as_bytes().to_vec())),
            Some(path) => std::fs::read(Path::new(path))
                .map(Self)
                .map_err(|error| format!("cannot read `{path}`: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_needs_a_colon_and_leaves_the_framing_alone() {
        let header: Header = "Authorization: Bearer a:b".parse().unwrap();
        assert_eq!(header.name, "authorization");
        assert_eq!(header.value, "Bearer a:b");
        assert!("Authorization".parse::<Header>().is_err());
        assert!("Content-Length: 3".parse::<Header>().is_err());
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = "@/no/such/file".parse::<Data>().unwrap_err();
        assert!(error.contains("/no/such/file"), "{error}");
    }
}
