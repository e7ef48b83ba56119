//! Money.

use std::{
    fmt,
    iter::Sum,
    ops::{Add, Sub},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// US dollars as a whole number of micro-dollars (10⁻⁶), so sums are exact.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Usd(pub i64);

impl Usd {
    /// No money.
    pub const ZERO: Usd = Usd(0);

    /// Returns the amount nearest to `dollars`, or nothing if it is not a sensible number.
    pub fn from_dollars(dollars: f64) -> Option<Usd> {
        let micros = (dollars * 1e6).round();
        // Nine billion dollars: past any bill, and inside what `f64` holds exactly.
        (micros.is_finite() && micros.abs() < 9e15).then_some(Usd(micros as i64))
    }

    /// Tells whether it is nothing.
    pub fn is_zero(self) -> bool {
        self == Usd::ZERO
    }

    /// Returns the amount as dollars, for JSON.
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl fmt::Display for Usd {
    /// Prints `$1.23`, or `$0.0042` where cents would show nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = if self.0 != 0 && self.0.abs() < 10_000 {
            format!("${:.4}", self.dollars())
        } else {
            format!("${:.2}", self.dollars())
        };
        f.pad(&text)
    }
}

impl FromStr for Usd {
    type Err = String;

    fn from_str(text: &str) -> Result<Usd, String> {
        let number = text.trim().trim_start_matches('$');
        let amount: f64 =
            number.parse().map_err(|_| format!("`{text}` is not an amount; write 2.50"))?;
        match Usd::from_dollars(amount) {
            Some(amount) if Usd::ZERO <= amount => Ok(amount),
            _ => Err(format!("`{text}` is not an amount from 0 up")),
        }
    }
}

impl Add for Usd {
    type Output = Usd;

    fn add(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }
}

impl Sub for Usd {
    type Output = Usd;

    fn sub(self, other: Usd) -> Usd {
        Usd(self.0.saturating_sub(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(iter: I) -> Usd {
        iter.fold(Usd::ZERO, Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cli_s_floating_point_dust_is_gone() {
        assert_eq!(Usd::from_dollars(0.060624000000000004), Some(Usd(60_624)));
        assert_eq!(Usd::from_dollars(f64::NAN), None);
        assert_eq!("$2.50".parse(), Ok(Usd(2_500_000)));
        assert!("-1".parse::<Usd>().is_err());
        assert_eq!(Usd(60_624).to_string(), "$0.06");
        assert_eq!(Usd(4_200).to_string(), "$0.0042");
    }
}
