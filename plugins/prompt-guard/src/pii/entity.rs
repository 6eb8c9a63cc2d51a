//! The kinds of personal data and secrets, and their names.

use std::fmt;

/// A kind of data that is found by its form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Entity {
    /// An e-mail address.
    Email,
    /// A phone number, international or national.
    Phone,
    /// A Chinese mobile number.
    CnPhone,
    /// A payment card.
    CreditCard,
    /// A Chinese bank card (UnionPay).
    CnBankCard,
    /// An international bank account number.
    Iban,
    /// A US social security number.
    UsSsn,
    /// A US individual taxpayer number.
    UsItin,
    /// A Chinese resident identity card.
    CnId,
    /// A Chinese passport.
    CnPassport,
    /// A Chinese vehicle plate.
    CnPlate,
    /// A Chinese unified social credit code of a company.
    CnUscc,
    /// A passport of another country, told by its context.
    Passport,
    /// A national identity or tax number of another country.
    NationalId,
    /// An IPv4 or IPv6 address.
    Ip,
    /// The hardware address of a network card.
    Mac,
    /// A date of birth, told by its context.
    DateOfBirth,
    /// The number of a medical record, told by its context.
    MedicalRecord,
    /// The number of a health insurance, told by its context or form.
    HealthInsurance,
    /// A key, token, password or the like.
    Secret,
}

impl Entity {
    /// All of them.
    pub const ALL: [Entity; 20] = [
        Entity::Email,
        Entity::Phone,
        Entity::CnPhone,
        Entity::CreditCard,
        Entity::CnBankCard,
        Entity::Iban,
        Entity::UsSsn,
        Entity::UsItin,
        Entity::CnId,
        Entity::CnPassport,
        Entity::CnPlate,
        Entity::CnUscc,
        Entity::Passport,
        Entity::NationalId,
        Entity::Ip,
        Entity::Mac,
        Entity::DateOfBirth,
        Entity::MedicalRecord,
        Entity::HealthInsurance,
        Entity::Secret,
    ];

    /// The name, as in the configuration, in placeholders and in the audit line.
    pub fn name(self) -> &'static str {
        match self {
            Entity::Email => "EMAIL",
            Entity::Phone => "PHONE",
            Entity::CnPhone => "CN_PHONE",
            Entity::CreditCard => "CREDIT_CARD",
            Entity::CnBankCard => "CN_BANKCARD",
            Entity::Iban => "IBAN",
            Entity::UsSsn => "US_SSN",
            Entity::UsItin => "US_ITIN",
            Entity::CnId => "CN_ID",
            Entity::CnPassport => "CN_PASSPORT",
            Entity::CnPlate => "CN_PLATE",
            Entity::CnUscc => "CN_USCC",
            Entity::Passport => "PASSPORT",
            Entity::NationalId => "NATIONAL_ID",
            Entity::Ip => "IP",
            Entity::Mac => "MAC",
            Entity::DateOfBirth => "DATE_OF_BIRTH",
            Entity::MedicalRecord => "MEDICAL_RECORD",
            Entity::HealthInsurance => "HEALTH_INSURANCE",
            Entity::Secret => "SECRET",
        }
    }

    /// The kind of this name.
    pub fn of(name: &str) -> Option<Entity> {
        Entity::ALL.into_iter().find(|entity| entity.name() == name)
    }

    fn bit(self) -> u32 {
        1 << (self as u8)
    }
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entities(u32);

impl Entities {
    /// All kinds.
    pub fn all() -> Entities {
        Entity::ALL.into_iter().collect()
    }

    /// Whether the kind is in the set.
    pub fn has(self, entity: Entity) -> bool {
        self.0 & entity.bit() != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Entity> for Entities {
    fn from_iter<I: IntoIterator<Item = Entity>>(entities: I) -> Entities {
        Entities(entities.into_iter().fold(0, |all, entity| all | entity.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name_and_has_a_bit_of_its_own() {
        let all = Entities::all();
        for entity in Entity::ALL {
            assert_eq!(Entity::of(entity.name()), Some(entity));
            assert!(all.has(entity));
            let others: Entities = Entity::ALL.into_iter().filter(|e| *e != entity).collect();
            assert!(!others.has(entity));
        }
        assert_eq!(Entity::of("email"), None);
    }
}
