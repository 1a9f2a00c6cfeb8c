//! The keys that a service seals its records with.

use std::{convert::Infallible, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use idem_core::encryption::{Key, Keyring};
use zeroize::Zeroizing;

use super::OperateError;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Keys")]
pub(crate) struct KeysArgs {
    /// A key that the service seals its records with, 32 bytes in base64; may be repeated. The first seals
    /// what is written, all open. Other users of this machine see an argument: better say it in the
    /// environment, with commas between several
    #[arg(
        long = "encryption-key",
        value_name = "ID=BASE64",
        env = "IDEM_ENCRYPTION_KEYS",
        value_delimiter = ',',
        hide_env_values = true
    )]
    keys: Vec<GivenKey>,
}

/// A key as it was given. It is not read while the command line is: an error there would print it.
#[derive(Clone)]
struct GivenKey(Zeroizing<String>);

impl FromStr for GivenKey {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl fmt::Debug for GivenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GivenKey(…)")
    }
}

impl GivenKey {
    fn read(&self) -> Result<Key, OperateError> {
        let (id, text) = self.0.split_once('=').ok_or(OperateError::KeyForm)?;
        let decoded = STANDARD.decode(text.trim()).map(Zeroizing::new);
        let key = decoded.map_err(|_| OperateError::KeyForm)?;
        Key::new(id.trim(), &key).map_err(OperateError::Key)
    }
}

impl KeysArgs {
    /// `None`: no key is given.
    ///
    /// # Errors
    /// What was given is no key, or two have the same name. Nothing of it is in the error.
    pub(crate) fn keyring(&self) -> Result<Option<Keyring>, OperateError> {
        let mut given = self.keys.iter().filter(|given| !given.0.trim().is_empty());
        let Some(first) = given.next() else {
            return Ok(None);
        };
        let mut keyring = Keyring::new(first.read()?);
        for other in given {
            keyring = keyring
                .also_reads(other.read()?)
                .map_err(OperateError::Key)?;
        }
        Ok(Some(keyring))
    }
}

#[cfg(test)]
mod tests {
    use idem_core::encryption::KeyringError;

    use super::*;

    fn keyring(given: &[&str]) -> Result<Option<Keyring>, OperateError> {
        let keys = given.iter().map(|text| text.parse().unwrap()).collect();
        KeysArgs { keys }.keyring()
    }

    #[test]
    fn the_first_key_seals_and_none_is_none() {
        let (one, two) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let (one, two) = (format!("new={one}"), format!(" old = {two} "));
        let ring = keyring(&["", &one, &two]).unwrap().unwrap();
        assert_eq!(ring.seals_under().as_str(), "new");
        assert!(keyring(&[]).unwrap().is_none());
        assert!(keyring(&[""]).unwrap().is_none());
        let twice = keyring(&[&one, &one]).unwrap_err();
        let id = "new".parse().unwrap();
        assert!(
            matches!(twice, OperateError::Key(KeyringError::Repeated { id: told }) if told == id)
        );
    }

    #[test]
    fn what_is_no_key_is_not_repeated() {
        let short = STANDARD.encode("hunter2 hunter2");
        for secret in [
            "hunter2",
            "a=hunter2!",
            &format!("a={short}"),
            "hunter2 x=AAAA",
        ] {
            let error = keyring(&[secret]).unwrap_err();
            let given: GivenKey = secret.parse().unwrap();
            let shown = format!("{error} {error:?} {given:?}");
            assert!(
                !shown.contains("hunter2") && !shown.contains(&short),
                "{shown}"
            );
        }
    }
}
